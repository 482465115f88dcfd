# escape=`
FROM mcr.microsoft.com/dotnet/framework/aspnet:4.8-windowsservercore-ltsc2022
SHELL ["powershell", "-Command", "$ErrorActionPreference = 'Stop'; $ProgressPreference = 'SilentlyContinue';"]
ARG source
WORKDIR C:\inetpub\wwwroot
RUN Remove-Item -Recurse C:\inetpub\wwwroot\*; `
    New-WebAppPool -Name 'shop'; `
    Set-ItemProperty IIS:\AppPools\shop managedRuntimeVersion v4.0
COPY ${source:-obj/Docker/publish} .
ENTRYPOINT ["C:\\ServiceMonitor.exe", "w3svc"]
