FROM mysql:8.4
ENV MYSQL_DATABASE=shop MYSQL_RANDOM_ROOT_PASSWORD=yes
COPY schema/*.sql /docker-entrypoint-initdb.d/
RUN printf '[mysqld]\ncharacter-set-server=utf8mb4\n' > /etc/mysql/conf.d/charset.cnf
HEALTHCHECK --interval=5s --retries=30 CMD ["mysqladmin", "ping", "-h", "127.0.0.1", "--silent"]
