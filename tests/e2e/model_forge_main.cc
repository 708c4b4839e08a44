// SPDX-License-Identifier: Apache-2.0
// The model of a forge as a process, for tests that are shell scripts.  knock-model-forge github|gitlab FOLDER
// Before each answer it reads FOLDER/pulls (a line each: NUMBER HEAD BASE), after it it writes what it
// was told: FOLDER/statuses, FOLDER/comment-NUMBER (all of them), FOLDER/requests. Its port is in
// FOLDER/port.
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>

#include "tests/unit/net/http_client_server.h"
#include "tests/unit/server/model_forge.h"

namespace {

using knock::test::ModelForge;

/// Whole or not at all, for whoever reads it meanwhile.
void write(const std::filesystem::path& file, const std::string& text) {
  auto next = file.string() + ".next";
  std::ofstream(next) << text;
  std::filesystem::rename(next, file);
}

class World {
 public:
  World(ModelForge& forge, std::filesystem::path folder)
      : forge_(forge), folder_(std::move(folder)) {}

  void read() {
    std::ifstream in(folder_ / "pulls");
    std::map<std::uint64_t, std::string> now;
    std::uint64_t number = 0;
    for (std::string head, base; in >> number >> head >> base;) {
      now[number] = head + base;
      if (known_[number] != now[number]) forge_.push(number, head, base);
    }
    for (const auto& [old, head] : known_)
      if (!now.contains(old)) forge_.close(old);
    known_ = std::move(now);
  }
  void write_told() {
    std::string statuses, requests;
    for (const auto& one : forge_.statuses())
      statuses += one.context + " " + one.commit + " " + one.state + " " + one.description + "\n";
    for (const auto& one : forge_.requests()) requests += one + "\n";
    for (const auto& [number, head] : known_) {
      std::string comments;
      for (const auto& one : forge_.comments(number)) comments += one.body + "\n=====\n";
      write(folder_ / ("comment-" + std::to_string(number)), comments);
    }
    write(folder_ / "requests", requests);
    write(folder_ / "statuses", statuses);
  }

 private:
  ModelForge& forge_;
  std::filesystem::path folder_;
  std::map<std::uint64_t, std::string> known_;
};

}  // namespace

int main(int count, char** words) {
  if (count != 3) {
    std::cerr << "knock-model-forge github|gitlab FOLDER\n";
    return 64;
  }
  bool github = std::string(words[1]) == "github";
  ModelForge forge(github ? knock::ForgeSettings::Type::github
                          : knock::ForgeSettings::Type::gitlab);
  World world(forge, words[2]);
  knock::net::test::TinyServer server([&](const std::string& request) {
    world.read();
    auto answer = forge.answer_bytes(request);
    world.write_told();
    return answer;
  });
  write(std::filesystem::path(words[2]) / "port", std::to_string(server.port()) + "\n");
  pause();
}
