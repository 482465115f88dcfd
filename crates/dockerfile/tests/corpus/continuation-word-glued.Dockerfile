FROM a
ENV ab\
cd=ef\
gh
RUN ec\
  ho x
