FROM scratch
LABEL org.opencontainers.image.title="Thing" \
      org.opencontainers.image.description="Does a thing, then \
another" \
      org.opencontainers.image.created=$BUILD_DATE \
      org.opencontainers.image.source='https://example.org/a b' \
      "com.example.quoted key"="v" \
      empty="" none=
LABEL a=b
LABEL vendor1="ACME Incorporated" vendor2=ZENITH\ Incorporated
