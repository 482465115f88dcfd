FROM eclipse-temurin:11-jre-focal
ARG SPARK_VERSION=3.5.1 HADOOP=3 SCALA
ENV SPARK_HOME=/opt/spark PATH=$PATH:/opt/spark/bin:/opt/spark/sbin
RUN wget -q "https://archive.apache.org/dist/spark/spark-${SPARK_VERSION}/spark-${SPARK_VERSION}-bin-hadoop${HADOOP}${SCALA:+-scala${SCALA}}.tgz" -O- \
    | tar xz -C /opt && mv /opt/spark-* $SPARK_HOME
EXPOSE 7077 8080-8090/tcp 4040
CMD spark-class org.apache.spark.deploy.master.Master --host "${HOSTNAME}"
