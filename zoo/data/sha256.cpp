#include "zoo/data/sha256.h"

#include <openssl/evp.h>

#include "tensor/error.h"

namespace likely {
namespace {

EVP_MD_CTX* in(const std::unique_ptr<void, void (*)(void*)>& context) {
  return static_cast<EVP_MD_CTX*>(context.get());
}

}  // namespace

Sha256::Sha256()
    : context_(EVP_MD_CTX_new(),
               [](void* context) { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context)); }),
      good_(context_ && EVP_DigestInit_ex(in(context_), EVP_sha256(), nullptr)) {}

void Sha256::add(const void* bytes, std::size_t count) {
  good_ = good_ && EVP_DigestUpdate(in(context_), bytes, count);
}

std::string Sha256::digest() {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned length = 0;
  good_ = good_ && EVP_DigestFinal_ex(in(context_), digest, &length);
  require(good_, "sha256: libcrypto cannot compute a digest. Check its installation.");
  return fmt::format("{:02x}", fmt::join(digest, digest + length, ""));
}

}  // namespace likely
