FROM openwrt/sdk:x86-64-23.05.3
RUN ./scripts/feeds update -a && ./scripts/feeds install -a; \
	make defconfig; \
	make package/{luci,uhttpd}/compile V=s -j"`nproc`"
