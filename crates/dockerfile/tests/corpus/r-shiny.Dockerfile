FROM rocker/shiny:4.4.0
RUN R -e 'install.packages(c("tidyverse", "plotly"), repos="https://cloud.r-project.org")'
RUN Rscript -e "if (!require('DT')) install.packages(\"DT\")"
COPY app.R /srv/shiny-server/
EXPOSE 3838
CMD ["R", "-e", "shiny::runApp('/srv/shiny-server', host = '0.0.0.0', port = 3838)"]
