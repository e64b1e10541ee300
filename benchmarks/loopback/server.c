/* A photo source and an S3 sink on 127.0.0.1, fast enough not to be what a benchmark measures.
   It checks nothing: no signature, no digest, no order of parts, no length of them. Never use it in a test of
   what is right.

   server PHOTO_BYTES [CERTIFICATE KEY]     prints its port; speaks TLS with a certificate; ends with its standard input

   GET /photos/<anything>   a JPEG's beginning, then the same 64 MiB of random bytes over and over; Range honoured
   everything else          one bucket of any name; bodies are counted and thrown away; HEAD tells their count and the
                            metadata; PUT and Complete heed If-None-Match; ListParts gives all parts on one page  */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/sendfile.h>
#include <unistd.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
static SSL_CTX *tls;

enum { BLOCK = 64 << 20, HEAD = 64 << 10, SCRATCH = 4 << 20, PARTS = 10001 };
static long photo_bytes;
static int block_file;
static char *block;

typedef struct object { /* and the last upload to its key */
    struct object *next;
    char path[4096], metadata[2048]; /* header lines */
    long parts[PARTS], size, upload; /* bytes, -1: not sent; upload 0: none */
    int whole;
} object;
static object *objects;
static long uploads;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
typedef struct { int socket; SSL *ssl; } peer;

static long receive(peer *p, char *into, size_t most, int flags) {
    if (p->ssl) return SSL_read(p->ssl, into, (int)most);
    return recv(p->socket, into, most, flags);
}

static int send_all(peer *p, const char *bytes, size_t left) {
    while (left) {
        long sent;
        if (p->ssl) sent = SSL_write(p->ssl, bytes, (int)(left < SCRATCH ? left : SCRATCH));
        else sent = send(p->socket, bytes, left, MSG_NOSIGNAL);
        if (sent <= 0) return 0;
        bytes += sent;
        left -= sent;
    }
    return 1;
}

static int reply(peer *p, const char *status, const char *headers, const char *body) {
    char text[4096];
    int length = snprintf(text, sizeof text, "HTTP/1.1 %s\r\n%s\r\n%s", status, headers, body);
    return send_all(p, text, length);
}

static int reply_xml(peer *p, const char *name, const char *path, const char *inner) {
    char body[2048], headers[128], bucket[256] = "", key[1024] = "";
    sscanf(path, "/%255[^/]/%1023s", bucket, key);
    int length = snprintf(body, sizeof body, "<?xml version=\"1.0\"?><%s><Bucket>%s</Bucket><Key>%.1000s</Key>%s</%s>",
                          name, bucket, key, inner, name);
    snprintf(headers, sizeof headers, "Content-Type: application/xml\r\nContent-Length: %d\r\n", length);
    return reply(p, "200 OK", headers, body);
}

static int reply_error(peer *p, const char *status, const char *code) {
    char body[128], headers[64];
    int length = snprintf(body, sizeof body, "<Error><Code>%s</Code></Error>", code);
    snprintf(headers, sizeof headers, "Content-Length: %d\r\n", length);
    return reply(p, status, headers, body);
}

static int send_photo(peer *p, const char *head) {
    long start = 0, end = photo_bytes, last = -1;
    const char *range = strcasestr(head, "\r\nrange: bytes=");
    char status[160] = "200 OK", headers[256];
    if (range) {
        sscanf(range + 15, "%ld-%ld", &start, &last);
        if (last >= 0 && last + 1 < end) end = last + 1;
        snprintf(status, sizeof status, "206 Partial Content\r\nContent-Range: bytes %ld-%ld/%ld", start, end - 1, photo_bytes);
    }
    snprintf(headers, sizeof headers, "Content-Type: image/jpeg\r\nContent-Length: %ld\r\nETag: \"photo\"\r\n"
             "Accept-Ranges: bytes\r\nLast-Modified: Sat, 06 Jun 2026 12:00:00 GMT\r\n", end - start);
    if (!reply(p, status, headers, "")) return 0;
    while (start < end) {
        off_t offset = start % BLOCK;
        long most = end - start < BLOCK - offset ? end - start : BLOCK - offset;
        if (!p->ssl) {
            if ((most = sendfile(p->socket, block_file, &offset, most)) <= 0) return 0;
        } else if (!send_all(p, block + offset, most)) return 0;
        start += most;
    }
    return 1;
}

static object *find(const char *path) { /* under the lock */
    object *o = objects;
    while (o && strcmp(o->path, path)) o = o->next;
    if (!o && (o = calloc(1, sizeof *o))) {
        snprintf(o->path, sizeof o->path, "%s", path);
        o->next = objects;
        objects = o;
    }
    return o;
}

static void keep_metadata(object *o, const char *head) { /* under the lock */
    size_t used = 0;
    for (const char *line = head; (line = strcasestr(line, "\r\nx-amz-meta-")); line += 2) {
        size_t length = strcspn(line + 2, "\r") + 2;
        if (used + length + 1 > sizeof o->metadata) break;
        memcpy(o->metadata + used, line + 2, length);
        used += length;
    }
    o->metadata[used] = 0;
}

static int list_parts(peer *p, object *o, long upload) {
    pthread_mutex_lock(&lock);
    if (!upload || o->upload != upload) {
        pthread_mutex_unlock(&lock);
        return reply_error(p, "404 Not Found", "NoSuchUpload");
    }
    char *body = malloc(256 + PARTS * 128L), *at = body + sprintf(body, "<ListPartsResult><IsTruncated>false</IsTruncated>");
    for (int part = 1; part < PARTS; part++)
        if (o->parts[part] >= 0)
            at += sprintf(at, "<Part><PartNumber>%d</PartNumber><ETag>\"%032x\"</ETag><Size>%ld</Size></Part>",
                          part, part, o->parts[part]);
    pthread_mutex_unlock(&lock);
    at += sprintf(at, "</ListPartsResult>");
    char headers[128];
    snprintf(headers, sizeof headers, "Content-Type: application/xml\r\nContent-Length: %ld\r\n", (long)(at - body));
    int well = reply(p, "200 OK", headers, "") && send_all(p, body, at - body);
    free(body);
    return well;
}

static int answer(peer *p, const char *method, char *path, const char *head, long length) {
    char *query = strchr(path, '?'), *found, headers[2304], inner[64];
    if (query) *query++ = 0; else query = "";
    if (!strncmp(path, "/photos/", 8)) return send_photo(p, head);
    int put = !strcmp(method, "PUT"), post = !strcmp(method, "POST"), discard = !strcmp(method, "DELETE");
    int of_uploads = !strncmp(query, "uploads", 7) || strstr(query, "&uploads");
    int part = (found = strstr(query, "partNumber=")) ? atoi(found + 11) : 0;
    long upload = (found = strstr(query, "uploadId=")) ? atol(found + 9) : 0;
    pthread_mutex_lock(&lock);
    object *o = find(path);
    int taken = o->whole && strcasestr(head, "\r\nif-none-match:") && !part && !of_uploads;
    if (put && part > 0 && part < PARTS) {
        o->parts[part] = length;
    } else if (put && !taken) {
        o->size = length;
        o->whole = 1;
        keep_metadata(o, head);
    } else if (post && of_uploads) {
        memset(o->parts, -1, sizeof o->parts);
        upload = o->upload = ++uploads;
        keep_metadata(o, head);
    } else if (post && !taken) {
        o->size = o->upload = 0;
        for (part = 1; part < PARTS; part++) o->size += o->parts[part] > 0 ? o->parts[part] : 0;
        o->whole = 1;
    } else if (discard && upload) {
        o->upload = 0;
    } else if (discard) {
        o->whole = 0;
    }
    long size = o->size;
    int whole = o->whole;
    snprintf(headers, sizeof headers, "ETag: \"0-1\"\r\nContent-Length: %ld\r\n%s", size, o->metadata);
    pthread_mutex_unlock(&lock);
    if ((put || post) && taken) return reply_error(p, "412 Precondition Failed", "PreconditionFailed");
    if (put) {
        snprintf(headers, sizeof headers, "ETag: \"%032x\"\r\nContent-Length: 0\r\n", part);
        return reply(p, "200 OK", headers, "");
    }
    if (post && of_uploads) {
        snprintf(inner, sizeof inner, "<UploadId>%ld</UploadId>", upload);
        return reply_xml(p, "InitiateMultipartUploadResult", path, inner);
    }
    if (post) return reply_xml(p, "CompleteMultipartUploadResult", path, "<ETag>\"0-1\"</ETag>");
    if (discard) return reply(p, "204 No Content", "", "");
    if (of_uploads) return reply_xml(p, "ListMultipartUploadsResult", path, "<IsTruncated>false</IsTruncated>");
    if (upload) return list_parts(p, o, upload);
    if (!whole) return reply(p, "404 Not Found", "Content-Length: 0\r\n", "");
    return reply(p, "200 OK", headers, "") && !strcmp(method, "HEAD");
}

static void *serve(void *argument) {
    peer p = {(int)(long)argument, NULL};
    int one = 1;
    setsockopt(p.socket, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    char *head = malloc(HEAD + 1), *scratch = malloc(SCRATCH), *end;
    size_t have = 0;
    if (tls) {
        p.ssl = SSL_new(tls);
        SSL_set_fd(p.ssl, p.socket);
        if (SSL_accept(p.ssl) <= 0) goto done;
    }
    for (;;) {
        while (!(end = memmem(head, have, "\r\n\r\n", 4))) {
            long count = have < HEAD ? receive(&p, head + have, HEAD - have, 0) : 0;
            if (count <= 0) goto done;
            have += count;
        }
        size_t head_bytes = end + 4 - head, early = have - head_bytes;
        char method[16], path[4096], *found;
        end[2] = 0; /* the last header keeps its line's end; the body begins behind */
        if (sscanf(head, "%15s %4095s", method, path) != 2 || strcasestr(head, "\r\ntransfer-encoding:")) goto done;
        long length = (found = strcasestr(head, "\r\ncontent-length:")) ? atol(found + 17) : 0;
        long counted = (found = strcasestr(head, "\r\nx-amz-decoded-content-length:")) ? atol(found + 31) : length;
        if (strcasestr(head, "100-continue") && !reply(&p, "100 Continue", "", "")) goto done;
        long left = length > (long)early ? length - (long)early : 0;
        while (left) {
            long count = receive(&p, scratch, left < SCRATCH ? left : SCRATCH, MSG_TRUNC);
            if (count <= 0) goto done;
            left -= count;
        }
        if (!answer(&p, method, path, head, counted)) goto done;
        size_t used = head_bytes + (length < (long)early ? (size_t)length : early);
        have -= used;
        memmove(head, head + used, have);
        head[have] = 0;
    }
done:
    if (p.ssl) SSL_free(p.ssl);
    close(p.socket);
    free(head);
    free(scratch);
    return NULL;
}

static void *end_with_input(void *unused) {
    char byte;
    while (read(0, &byte, 1) > 0) {}
    _exit(0);
    return unused;
}

int main(int count, char **words) {
    signal(SIGPIPE, SIG_IGN);
    if (count != 2 && count != 4) return 2;
    photo_bytes = atol(words[1]);
    if (count == 4) {
        tls = SSL_CTX_new(TLS_server_method());
        SSL_CTX_set_ciphersuites(tls, "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"); /* what S3 and most CDNs choose */
        SSL_CTX_set_options(tls, SSL_OP_CIPHER_SERVER_PREFERENCE);
        if (SSL_CTX_use_certificate_chain_file(tls, words[2]) != 1) return ERR_print_errors_fp(stderr), 1;
        if (SSL_CTX_use_PrivateKey_file(tls, words[3], SSL_FILETYPE_PEM) != 1) return ERR_print_errors_fp(stderr), 1;
    }
    block_file = memfd_create("photo", 0);
    if (ftruncate(block_file, BLOCK)) return 1;
    block = mmap(NULL, BLOCK, PROT_READ | PROT_WRITE, MAP_SHARED, block_file, 0);
    for (long at = 0; at < BLOCK;) at += getrandom(block + at, 1 << 20, 0);
    memcpy(block, "\xff\xd8\xff\xe0\x00\x10JFIF", 11);
    int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    if (bind(listening, (void *)&address, length) || listen(listening, 256)) return perror("listen"), 1;
    getsockname(listening, (void *)&address, &length);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    pthread_t thread;
    pthread_create(&thread, NULL, end_with_input, NULL);
    for (;;) {
        long accepted = accept(listening, NULL, NULL);
        if (accepted < 0) continue;
        if (pthread_create(&thread, NULL, serve, (void *)accepted)) close((int)accepted);
        else pthread_detach(thread);
    }
}
