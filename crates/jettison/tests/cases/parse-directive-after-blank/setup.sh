printf '\n# escape=`\nFROM busybox\nRUN echo a `\n b > /x\n' > Dockerfile
