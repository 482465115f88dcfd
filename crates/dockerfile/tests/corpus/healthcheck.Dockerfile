FROM debian
HEALTHCHECK NONE
HEALTHCHECK CMD a b
HEALTHCHECK CMD ["a", "b"]
HEALTHCHECK --interval=5m --timeout=3s --start-period=1s --start-interval=500ms --retries=4 \
  CMD curl -f http://localhost/ || exit 1
