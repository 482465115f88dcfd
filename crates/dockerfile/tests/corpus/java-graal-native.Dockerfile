FROM ghcr.io/graalvm/native-image-community:21 AS native
WORKDIR /w
COPY Main.java .
RUN javac Main.java && native-image --static --libc=musl -H:+ReportExceptionStackTraces -o main Main
FROM scratch
COPY --from=native /w/main /main
ENTRYPOINT ["/main", "-Xmx64m"]
