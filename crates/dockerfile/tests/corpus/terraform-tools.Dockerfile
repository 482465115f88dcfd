FROM hashicorp/terraform:1.9 AS tf
FROM alpine/helm:3.15.0 AS helm
FROM bitnami/kubectl:1.30 AS kubectl
FROM alpine:3.20
COPY --from=tf /bin/terraform /usr/local/bin/
COPY --from=helm /usr/bin/helm /usr/local/bin/
COPY --from=kubectl /opt/bitnami/kubectl/bin/kubectl /usr/local/bin/
RUN apk add --no-cache bash jq yq && ln -sf /bin/bash /bin/sh
ONBUILD COPY *.tf /work/
ONBUILD RUN ["terraform", "init", "-backend=false"]
WORKDIR /work
