FROM eclipse-temurin:17-jdk
ENV ANDROID_HOME=/opt/android-sdk
ENV PATH=${PATH}:${ANDROID_HOME}/cmdline-tools/latest/bin:${ANDROID_HOME}/platform-tools
ARG CMDLINE=11076708
RUN mkdir -p ${ANDROID_HOME}/cmdline-tools && cd ${ANDROID_HOME}/cmdline-tools && \
    curl -o t.zip "https://dl.google.com/android/repository/commandlinetools-linux-${CMDLINE}_latest.zip" && \
    unzip t.zip && mv cmdline-tools latest && rm t.zip
RUN yes | sdkmanager --licenses > /dev/null && sdkmanager "platforms;android-34" "build-tools;34.0.0"
