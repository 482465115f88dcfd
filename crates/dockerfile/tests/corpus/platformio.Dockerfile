FROM python:3-slim
RUN pip install platformio==6.1.15 && pio pkg install -g -p espressif32@6.7.0
WORKDIR /fw
COPY platformio.ini ./
RUN pio pkg install
COPY src include lib /fw/
RUN ["pio", "run", "-e", "esp32dev"]
