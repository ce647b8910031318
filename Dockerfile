# The study in a container: docker build -t cloakbench . && docker run --rm -v "$PWD/results:/study/results" cloakbench
# With GPUs: docker run --gpus all ...; for Apptainer: apptainer build cloakbench.sif docker-daemon:cloakbench:latest
FROM python:3.12-slim-bookworm

RUN pip install --no-cache-dir "uv>=0.8,<1"
WORKDIR /study
# the environment first: it changes less often than the code, and is exactly that of uv.lock
COPY pyproject.toml uv.lock README.md LICENSE ./
RUN uv sync --locked --no-default-groups --group slurm --no-install-project --python /usr/local/bin/python
COPY Snakefile config.yaml ./
COPY envs envs
COPY profiles profiles
COPY scripts scripts
COPY workflow workflow
# an image that is read-only later has no place for bytecode
RUN uv sync --locked --no-default-groups --group slurm --python /usr/local/bin/python && \
    .venv/bin/python -m compileall -q workflow/lib
ENV PATH=/study/.venv/bin:$PATH

ENTRYPOINT ["snakemake"]
CMD ["--cores", "all"]
