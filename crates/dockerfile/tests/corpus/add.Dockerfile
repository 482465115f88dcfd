FROM debian
ADD a.tar.gz /b/
ADD https://example.com/x /y
ADD --checksum=sha256:00 https://example.com/x /y
ADD --keep-git-dir=true https://example.com/z.git#v1:sub /z
ADD --unpack=false a.tar /b
ADD ["a", "b"]
ADD <<c /d
e
c
