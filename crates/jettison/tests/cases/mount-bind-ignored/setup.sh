printf 'secret\n.dockerignore\nDockerfile\n' > .dockerignore; touch secret open
