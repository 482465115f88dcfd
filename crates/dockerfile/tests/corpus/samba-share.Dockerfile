FROM alpine
MAINTAINER Somebody <a@b.c>
RUN apk add --no-cache samba
ADD smb.conf /etc/samba/
EXPOSE 137/udp 138/udp 139 445
CMD ["smbd", "--foreground", "--log-stdout", "--no-process-group"]
