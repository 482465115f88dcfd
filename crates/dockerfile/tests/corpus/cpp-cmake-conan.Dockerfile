FROM gcc:13 AS build
RUN pip3 install --break-system-packages 'conan>=2.0' "cmake<4"
WORKDIR /src
COPY conanfile.txt .
RUN conan profile detect && conan install . --build=missing -s build_type=Release -of build
COPY . .
RUN cmake -S . -B build -DCMAKE_TOOLCHAIN_FILE=build/conan_toolchain.cmake -DCMAKE_BUILD_TYPE=Release \
 && cmake --build build -j$(nproc) \
 && ctest --test-dir build --output-on-failure
FROM gcr.io/distroless/cc
COPY --from=build /src/build/bin/* /usr/local/bin/
