FROM jenkins/inbound-agent:latest-jdk17
USER root
RUN curl -fsSL https://get.docker.com | sh && usermod -aG docker jenkins
COPY --from=docker/buildx-bin:latest /buildx /usr/libexec/docker/cli-plugins/docker-buildx
USER jenkins
