FROM perl:5.38-slim
RUN cpanm -n --installdeps Mojolicious@9.35 \
  && rm -rf ~/.cpanm
COPY app.pl /app.pl
RUN perl -pi -e 's/\bDEBUG\b/0/g; s{/tmp/(\w+)}{/var/$1}' /app.pl
CMD ["hypnotoad", "-f", "/app.pl"]
