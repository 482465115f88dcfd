FROM a
EXPOSE 80/tcp/udp $A ${B:-1} 1:2 127.0.0.1:80:80
