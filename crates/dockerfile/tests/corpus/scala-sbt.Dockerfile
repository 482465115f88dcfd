FROM sbtscala/scala-sbt:eclipse-temurin-17.0.4_1.7.1_3.2.0 AS sbt
WORKDIR /s
COPY project project
COPY build.sbt ./
RUN sbt update
COPY src src
RUN sbt "set test in assembly := {}" clean assembly
FROM eclipse-temurin:17-jre
COPY --from=sbt /s/target/scala-*/app-assembly-*.jar /opt/app.jar
CMD java ${JAVA_OPTS} -jar /opt/app.jar
