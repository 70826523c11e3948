// Names and sizes of the element types.
#include "tensor/dtype.h"

namespace likely {

std::size_t size_of(DType dtype) {
  return with_type(dtype, []<class T>(Type<T>) { return sizeof(T); });
}

const char* name_of(DType dtype) {
  switch (dtype) {
    case DType::f32:
      return "f32";
    case DType::f64:
      return "f64";
    case DType::bf16:
      return "bf16";
    case DType::i64:
      return "i64";
    case DType::i32:
      return "i32";
    case DType::u8:
      return "u8";
  }
  return "unknown dtype";
}

}  // namespace likely

fmt::appender fmt::formatter<likely::DType>::format(likely::DType dtype,
                                                    format_context& context) const {
  return write(likely::name_of(dtype), context);
}
