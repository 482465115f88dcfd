FROM continuumio/miniconda3:24.5.0-0
SHELL ["/bin/bash", "-lc"]
COPY environment.yml /tmp/environment.yml
RUN conda env create -f /tmp/environment.yml && conda clean -afy \
 && echo "conda activate science" >> ~/.bashrc
ENV PATH=/opt/conda/envs/science/bin:$PATH
WORKDIR /work
RUN python -c 'import numpy, scipy; print(numpy.__version__, scipy.__version__)'
EXPOSE 8888
CMD ["jupyter", "lab", "--ip=0.0.0.0", "--no-browser", "--allow-root"]
