echo secret > .dockerignore; echo x > secret
