FROM gitlab/gitlab-runner:alpine
RUN sed -i -E 's#^(http)s?://[^/]+#\1://mirror.example.org#' /etc/apk/repositories; \
    apk add --no-cache dumb-init
ENTRYPOINT ["/usr/bin/dumb-init", "--", "/entrypoint"]
CMD ["run", "--user=gitlab-runner", "--working-directory=/home/gitlab-runner"]
