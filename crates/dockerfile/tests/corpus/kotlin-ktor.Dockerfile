from gradle:8.5 as builder
workdir /app
copy . .
run gradle shadowJar --no-daemon
from amazoncorretto:17-alpine as run
copy --from=builder /app/build/libs/*-all.jar /ktor.jar
expose 8080
entrypoint [ "java", "-jar", "/ktor.jar" ]
