# SPDX-License-Identifier: Apache-2.0
# cmake -D NAME=kPolicySchema -D INPUT=a.json -D OUTPUT=a.cc -P embed_text.cmake
# One literal for each line: compilers must not take one of more than 65,536 bytes.
file(READ "${INPUT}" text)
string(REGEX REPLACE "([\\\\\"])" "\\\\\\1" text "${text}")
string(REPLACE "\n" "\\n\"\n    \"" text "${text}")
file(WRITE "${OUTPUT}" "#include \"cli/embedded.h\"\n\nnamespace knock::cli {\nconst std::string_view ${NAME} =\n    \"${text}\";\n}\n")
