FROM ghcr.io/cirruslabs/flutter:3.22.0 AS f
WORKDIR /app
COPY . .
RUN flutter pub get && flutter build web --release --dart-define=API_URL='https://api.example.org/v1?x=1&y=2'
FROM nginx:alpine
COPY --from=f /app/build/web /usr/share/nginx/html
