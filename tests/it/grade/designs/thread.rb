# A thread for each client: ruby thread.rb HOST PORT
require "socket"

def answer(line)
  a, operator, b = line.split
  return "error" unless a && b && %w[+ - * /].include?(operator)

  Integer(a).public_send(operator, Integer(b)).to_s
rescue ArgumentError, ZeroDivisionError
  "error"
end

TCPServer.open(ARGV[0], ARGV[1].to_i) do |listener|
  loop do
    Thread.new(listener.accept) do |client|
      while (line = client.gets)
        client.puts answer(line)
      end
    rescue SystemCallError
      # It has left.
    ensure
      client.close
    end
  end
end
