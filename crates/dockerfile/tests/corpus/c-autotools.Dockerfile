FROM debian:bookworm AS src
ADD --checksum=sha256:24454f830cdb571e2c4ad15481119c43b3cafd48dd869a9b2945d1036d1dc68d https://mirrors.edge.kernel.org/pub/linux/kernel/Historic/linux-0.01.tar.gz /src/
ADD --keep-git-dir=true https://github.com/moby/buildkit.git#v0.10.1 /buildkit
FROM src AS build
RUN ./configure --prefix=/usr --sysconfdir=/etc CFLAGS="-O2 -g -Wall" && make -j4 DESTDIR=/out install
