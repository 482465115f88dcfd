# escape=`
FROM mcr.microsoft.com/windows/nanoserver:ltsc2022
COPY testfile.txt C:\
RUN dir c:\
USER ContainerAdministrator
RUN setx /M PATH "%PATH%;C:\Program Files\tool\"
ENV ProgramFiles="C:\Program Files" `
    DATA=C:\data\
VOLUME C:\data
VOLUME ["C:\\logs", "D:\\more"]
CMD [ "cmd", "/S", "/C", "echo hello" ]
