FROM eclipse-temurin:21-jre
RUN useradd -u 1000 -m mc
WORKDIR /data
ADD --chown=1000:1000 --chmod=644 https://piston-data.mojang.com/v1/objects/abc/server.jar /opt/server.jar
RUN echo eula=true > eula.txt
VOLUME /data
EXPOSE 25565/tcp 25565/udp
STOPSIGNAL 15
USER 1000
CMD java -Xms${MEM:-1G} -Xmx${MEM:-1G} -jar /opt/server.jar nogui
