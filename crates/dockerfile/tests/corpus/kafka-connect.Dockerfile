FROM confluentinc/cp-kafka-connect-base:7.6.1
ENV CONNECT_PLUGIN_PATH="/usr/share/java,/usr/share/confluent-hub-components"
RUN confluent-hub install --no-prompt confluentinc/kafka-connect-jdbc:10.7.6 \
 && confluent-hub install --no-prompt debezium/debezium-connector-postgresql:2.4.2
LABEL io.confluent.docker=true \
      io.confluent.docker.build.number="123" \
      description="Kafka \"Connect\" with JDBC" \
      multi="one \
two"
