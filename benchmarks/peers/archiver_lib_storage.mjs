// archiver (store) into @aws-sdk/lib-storage: what a Node service does. Photos are opened ahead, in plan order.
import { PassThrough, Readable } from "node:stream";
import { S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { ZipArchive } from "archiver";

const [photos, count, endpoint, bucket, key, workers] = process.argv.slice(2);
// As R2 and other S3-compatibles want it; the default would cost a CRC more.
const client = new S3Client({ endpoint, forcePathStyle: true, requestChecksumCalculation: "WHEN_REQUIRED" });
const body = new PassThrough();
const upload = new Upload({ client, params: { Bucket: bucket, Key: key, Body: body }, queueSize: 4, partSize: 16 << 20 });
const uploaded = upload.done(); // before anything is piped: archiver #662
const archive = new ZipArchive({ store: true });
archive.on("error", (error) => body.destroy(error));
archive.pipe(body);

async function photo(number) {
  const answer = await fetch(`${photos}/${number}.jpg`);
  if (!answer.ok) throw new Error(`${answer.status} for photo ${number}`);
  return Readable.fromWeb(answer.body); // streams are cheaper here than buffers
}

const ahead = [];
let next = 0;
function refill() {
  while (ahead.length < Number(workers) && next < Number(count)) ahead.push([next, photo(next++)]);
}
for (refill(); ahead.length; ) {
  const [number, pending] = ahead.shift();
  const stream = await pending;
  refill();
  const entered = new Promise((resolve) => archive.once("entry", resolve));
  archive.append(stream, { name: `${number}.jpg` });
  await entered;
}
await archive.finalize();
await uploaded;
