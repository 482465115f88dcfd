FROM gradle:8-jdk21 AS build
COPY --chown=gradle:gradle . /home/gradle/src
WORKDIR /home/gradle/src
RUN gradle bootJar --no-daemon -x test && java -Djarmode=layertools -jar build/libs/*.jar extract --destination /layers

FROM bellsoft/liberica-openjre-alpine:21
COPY --from=build /layers/dependencies/ ./
COPY --from=build /layers/spring-boot-loader/ ./
COPY --from=build /layers/snapshot-dependencies/ ./
COPY --from=build /layers/application/ ./
ENTRYPOINT ["java","org.springframework.boot.loader.launch.JarLauncher"]
