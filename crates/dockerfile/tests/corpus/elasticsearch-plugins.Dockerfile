FROM docker.elastic.co/elasticsearch/elasticsearch:8.14.0
RUN bin/elasticsearch-plugin install --batch analysis-icu analysis-phonetic
COPY --chown=elasticsearch:elasticsearch elasticsearch.yml /usr/share/elasticsearch/config/
ENV discovery.type=single-node xpack.security.enabled=false ES_JAVA_OPTS="-Xms512m -Xmx512m"
