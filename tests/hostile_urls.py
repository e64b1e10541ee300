"""Spellings that try to get past a check: of this machine and the network around it, and of whole URLs."""

from __future__ import annotations

# Hosts that all lead, or would lead in some program, to this machine or inside its network.
HOSTS = [
    "127.0.0.1", "localhost", "LOCALHOST", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1",
    "0177.0.0.1", "017700000001", "0x7f.0x0.0x0.0x1", "127.0.0.01", "00000127.0.0.1", "127.0.0.1.", "0",
    "0.0.0.0", "0x0", "127.255.0.1", "[::1]", "[0:0:0:0:0:0:0:1]", "[::]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[::127.0.0.1]", "[::ffff:0:127.0.0.1]", "[64:ff9b::127.0.0.1]", "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]", "[2002:7f00:1::]", "[2001:0:0:0:0:0:80ff:fffe]", "[::1%25lo]", "[fe80::1%25eth0]",
    "[fe80::1]", "[fec0::1]", "[fc00::1]", "[fd00:ec2::254]", "[ff02::1]", "[::ffff:169.254.169.254]",
    "[64:ff9b::a9fe:a9fe]", "[2002:a9fe:a9fe::1]", "169.254.169.254", "169.254.170.2", "0xa9fea9fe",
    "2852039166", "0251.0376.0251.0376", "10.0.0.1", "10.1", "172.16.0.1", "192.168.0.1", "192.168.1",
    "100.64.0.1", "100.100.100.200", "192.0.0.192", "198.18.0.1", "168.63.129.16", "224.0.0.1",
    "255.255.255.255", "１２７.0.0.1", "127。0。0。1", "127．0．0．1", "①②⑦.⓪.⓪.①",
    "ⓛⓞⓒⓐⓛⓗⓞⓢⓣ", "local\u200bhost", "localhost%00.example.com", "%6c%6f%63%61%6c%68%6f%73%74",
    "%31%32%37.0.0.1", "127.0.0.1%2f@example.com", "example.com@127.0.0.1", "example.com:80@127.0.0.1",
    "a:b@c@127.0.0.1", "127.0.0.1\\@example.com", "127.0.0.1#@example.com", "127.0.0.1?@example.com",
    "127.0.0.1\t", "127.0.0.1\r\nHost: example.com", "127.0.0.1 ", "localhost.", "[127.0.0.1]",
]  # fmt: skip

# URLs that two programs could read in two ways, or that name no place at all.
HOSTILE = [
    "", "photo.jpg", "//example.com/a", "https:example.com/a", "https:/example.com/a", "https:\\\\example.com\\a",
    "javascript:alert(1)", "data:image/png;base64,AA", "gopher://example.com/", "ftp://example.com/a",
    "jar:https://example.com!/a", "https://", "https:///a", "https://?a", "https://#a", "https://:443/",
    " https://example.com/", "\thttps://example.com/", "ht\ntps://example.com/",
    "https://user@example.com/", "https://user:pw@example.com/", "https://example.com@evil.example/",
    "https://example.com%40evil.example/", "https://@example.com/", "https://example.com:pw@127.0.0.1/",
    "https://example.com\\@evil.example/", "https://evil.example\\.example.com/", "https://example.com\\/a",
    "https://example.com:0/", "https://example.com:65536/", "https://example.com:-1/", "https://example.com:/",
    "https://example.com:44３/", "https://example.com:4 43/", "https://example.com:443:80/", "https://example.com:0x1bb/",
    "https://example.com./", "https://.example.com/", "https://example..com/", "https://exa mple.com/",
    "https://exam%70le.com/", "https://%31%32%37.0.0.1/", "https://127.0.0.1%00.example.com/", "https://127.0.0.1%2f/",
    "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/", "https://017700000001/",
    "https://127.1/", "https://127.0.1/", "https://127.0.0.1./", "https://127.0.0.01/", "https://0/", "https://0x/",
    "https://1.2.3.4.5/", "https://256.1.1.1/", "https://4294967296/", "https://00000177.1/", "https://127.0.0.1.0x0/",
    "https://[::1/", "https://::1/", "https://[::1%25eth0]/", "https://[fe80::1%eth0]/", "https://[::127.0.0.1.]/",
    "https://[v1.a]/", "https://[]/", "https://[::1]evil.example/", "https://[127.0.0.1]/",
    "https://１２７.0.0.1/", "https://①②⑦.0.0.1/", "https://ⓔxample.com/", "https://exam\u200bple.com/",
    "https://example\u3002\u200bcom/", "https://exa\u00admple.com/", "https://example.com\uff0fa/", "https://\u2100.com/",
    "https://example.com/\r\nHost: evil", "https://example.com/\x00", "https://example.com/a\\..\\b", "https://a_\x7f/",
    "https://-example.com/", "https://" + "a" * 64 + ".com/", "https://" + "a." * 130 + "com/", "https://exa$mple.com/",
    "s3://", "s3:///key", "s3://b/key", "s3://Bucket/key", "s3://bucket:443/key", "s3://user@bucket/key",
    "s3://buc..ket/key", "s3://.bucket/key", "s3://buc%6bet/key", "s3://bucket/a?versionId=1", "s3://bucket/a#b",
    "s3://bucket/../other/key", "s3://bucket/a/../../b", "s3://bucket/a/./b", "s3://bucket/a/..", "s3://bucket/..",
    "s3://bucket/%2e%2e/b", "s3://bucket/%2E./b", "s3://bucket/%252e%252e/b", "s3://bucket/%25252e%25252e/b",
    "s3://bucket/a%2fb", "s3://bucket/a%2Fb", "s3://bucket/a%252fb", "s3://bucket/a%5cb", "s3://bucket/a\\b",
    "s3://bucket/a%255c..%255cb", "s3://bucket/%ff", "s3://bucket/a%00b", "s3://bucket/a%0ab", "s3://bucket/a\nb",
    "s3://bucket/.. /b", "s3://bucket/%20../b", "s3://bucket/%252525252e", "s3://bucket/\ud800",
    "file://", "file://etc/passwd", "file://host/etc/passwd", "file:///etc/../etc/passwd", "file:///%2e%2e/etc/passwd",
    "file:///a%2f..%2fetc", "file:///a%00b", "file:///a?b", "file:///a#b", "file://127.0.0.1/etc/passwd", "file:etc",
    "file:///a\\b",
]  # fmt: skip
