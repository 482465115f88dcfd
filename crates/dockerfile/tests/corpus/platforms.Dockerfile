FROM --platform=linux/amd64 debian AS a
FROM --platform=$BUILDPLATFORM debian AS b
FROM --platform=${TARGETPLATFORM:-linux/arm64} a
