FROM debian
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
RUN a
SHELL   ["powershell"]  
