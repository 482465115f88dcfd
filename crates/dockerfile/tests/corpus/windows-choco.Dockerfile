#escape=`
FROM mcr.microsoft.com/windows/servercore:ltsc2019
RUN powershell -NoProfile -ExecutionPolicy Bypass -Command `
      "[System.Net.ServicePointManager]::SecurityProtocol = 3072; `
       iex ((New-Object System.Net.WebClient).DownloadString('https://chocolatey.org/install.ps1'))"
# tools
RUN choco install -y git `
 # a comment between
 && choco install -y nodejs-lts
CMD powershell
