import java.io.*;
import java.nio.charset.StandardCharsets;
import java.nio.file.*;
import java.util.zip.*;

/** Reads each archive named on stdin as a stream and says what lies in it: size, CRC-32 and name of each member. */
public class ReadZips {
    public static void main(String[] arguments) throws IOException {
        BufferedReader paths = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        PrintStream said = new PrintStream(new FileOutputStream(FileDescriptor.out), false, "UTF-8");
        byte[] buffer = new byte[65536];
        for (String path; (path = paths.readLine()) != null; ) {
            try (ZipInputStream zip = new ZipInputStream(new BufferedInputStream(Files.newInputStream(Paths.get(path))))) {
                for (ZipEntry entry; (entry = zip.getNextEntry()) != null; ) {
                    CRC32 crc = new CRC32();
                    long size = 0;
                    for (int count; (count = zip.read(buffer)) > 0; size += count) crc.update(buffer, 0, count);
                    said.println(size + " " + crc.getValue() + " " + entry.getTime() / 1000 + " " + entry.getName());
                }
            }
            said.println("end");
            said.flush();
        }
    }
}
