// What a vendor library was asked for a problem and answered: kept, as it takes milliseconds to
// make.
#pragma once
#include <map>
#include <memory>
#include <mutex>

namespace likely::kernels {

// By everything that the answer depends on; null where the library has nothing for it.
template <class Key, class Value>
class Kept {
 public:
  template <class F>
  std::shared_ptr<const Value> get(const Key& key, F make) {
    const std::lock_guard lock(mutex_);
    const auto found = kept_.find(key);
    if (found != kept_.end())
      return found->second;
    if (kept_.size() == at_most)
      kept_.clear();
    return kept_[key] = make();
  }

 private:
  static constexpr std::size_t at_most = 2048;  // of a problem that was measured, a few
  std::mutex mutex_;
  std::map<Key, std::shared_ptr<const Value>> kept_;
};

}  // namespace likely::kernels
