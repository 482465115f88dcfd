FROM a
LABEL naïve="ünïcödé" emoji=👩‍🚀
RUN echo '日本語' "ﷺ"
ENV ключ=значение
