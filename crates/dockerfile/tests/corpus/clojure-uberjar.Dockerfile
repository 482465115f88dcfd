FROM clojure:temurin-21-tools-deps AS b
WORKDIR /usr/src/app
COPY deps.edn /usr/src/app/
RUN clj -P
COPY . .
RUN clojure -T:build uber :version '"1.0"' :main my.app
FROM eclipse-temurin:21-jre-alpine
COPY --from=b /usr/src/app/target/app.jar /app.jar
CMD ["java", "-jar", "/app.jar"]
