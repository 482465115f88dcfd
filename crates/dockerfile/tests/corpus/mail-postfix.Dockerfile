FROM debian:bookworm-slim
RUN echo "postfix postfix/mailname string example.org" | debconf-set-selections \
 && echo "postfix postfix/main_mailer_type string 'Internet Site'" | debconf-set-selections \
 && DEBIAN_FRONTEND=noninteractive apt-get install -y postfix
RUN postconf -e 'mynetworks = 127.0.0.0/8 [::1]/128' 'smtpd_relay_restrictions = permit_mynetworks, reject'
EXPOSE 25 587
CMD ["postfix", "start-fg"]
