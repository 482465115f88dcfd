printf 'FROM busybox\r\nENV A=b\r\n# comment\r\nRUN echo one \\\r\n  two > /x\r\nLABEL l="v"\r\nCMD ["a"]\r\n' > Dockerfile
