FROM debian
EXPOSE 80 443/tcp 53/udp 8000-8010 $P ${Q}/tcp "90"
