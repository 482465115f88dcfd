FROM selenium/standalone-firefox:latest
ENV SE_NODE_MAX_SESSIONS=4 SE_OPTS="--log-level FINE"
USER 1200:1201
EXPOSE 4444 5900 7900
