FROM alpine
ARG S6_OVERLAY_VERSION=3.1.6.2
ADD https://github.com/just-containers/s6-overlay/releases/download/v${S6_OVERLAY_VERSION}/s6-overlay-noarch.tar.xz /tmp
RUN tar -C / -Jxpf /tmp/s6-overlay-noarch.tar.xz
COPY --chmod=755 <<"run" /etc/services.d/app/run
#!/command/with-contenv sh
exec app --port="$PORT"
run
ENTRYPOINT ["/init"]
